"""GeNiE's side: signed requests out, verified answers in, and how many of them at a time."""
