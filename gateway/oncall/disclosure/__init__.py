"""What the privacy desk hands out: the answer to a customer who asks what was provided, and the notice to GeNiE of
what it holds of one who withdrew. Categories, dates and references, never a personal data value."""
