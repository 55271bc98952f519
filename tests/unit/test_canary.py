"""Personal values searched for in text."""

from gateway.sandbox.verifier.canary import Canaries


def test_value_at_the_end_of_the_text() -> None:
    """A value that ends the text is found although a longer one begins alike."""
    canaries = Canaries()
    canaries.add("架空町一番地の二", "customer.address")
    canaries.add("架空町一", "customer.memo")
    assert list(canaries.found("住所は架空町一")) == ["customer.memo"]
