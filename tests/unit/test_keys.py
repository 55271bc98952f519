"""Key files of kinds that OpenSSL reads but the library can't: refused like any other."""

from pathlib import Path

import pytest

from gateway.genie.keys import KeyFileError, load_answer_key, load_signing_key

PRIVATE = {
    "sm2": """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqBHM9VAYItBG0wawIBAQQgcJ2HkATqt+JjLk+J
v65KfUy20LiQhZwgJED115/gC9ChRANCAAStMZDNFWD80UOEC5NjyIr4eAIxkaTE
qWDU1uD5GDtmuNozITOYX5weJcimngkEY4TCXTSDASjOb9jZWCPOA0n2
-----END PRIVATE KEY-----
""",
    "secp112r1": """-----BEGIN PRIVATE KEY-----
ME4CAQAwEAYHKoZIzj0CAQYFK4EEAAYENzA1AgEBBA4YMVgg/DyaiJk29N7KbqEg
Ax4ABBSpQtSOppwehbUm3DG5EEtC4V61igm5sZlEllI=
-----END PRIVATE KEY-----
""",
}
PUBLIC = {
    "sm2": """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAErTGQzRVg/NFDhAuTY8iK+HgCMZGk
xKlg1Nbg+Rg7ZrjaMyEzmF+cHiXIpp4JBGOEwl00gwEozm/Y2VgjzgNJ9g==
-----END PUBLIC KEY-----
""",
    "secp112r1": """-----BEGIN PUBLIC KEY-----
MDIwEAYHKoZIzj0CAQYFK4EEAAYDHgAEFKlC1I6mnB6FtSbcMbkQS0LhXrWKCbmx
mUSWUg==
-----END PUBLIC KEY-----
""",
}


@pytest.mark.parametrize("curve", PRIVATE)
def test_a_key_on_an_unknown_curve_is_refused(tmp_path: Path, curve: str) -> None:
    """The library raises for these what is no ValueError; a healthy gateway would end of a changed file."""
    private, public = tmp_path / "norel.key", tmp_path / "genie.pub"
    private.write_text(PRIVATE[curve])
    public.write_text(PUBLIC[curve])
    with pytest.raises(KeyFileError, match="norel"):
        load_signing_key(private, "norel-1")
    with pytest.raises(KeyFileError, match="genie"):
        load_answer_key(public, "genie-1")
