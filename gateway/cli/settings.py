"""`gateway settings`: what can be set, and what is set here."""

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit


def settings(as_json: AsJson = False) -> None:
    """Print every setting with its variable, its default and what this environment sets it to.

    Nothing here is secret: secrets are in files, and settings name those files.

    Example: GATEWAY_CONFIG=gateway.toml gateway settings
    """
    from gateway.settings import SettingsError, found, reference

    try:
        there = found()
    except SettingsError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from None
    rows: list[dict[str, str | None]] = []
    lines: list[str] = []
    for setting, variable, default, sentence in reference():
        value, source = there.get(setting, (None, None))
        rows.append({"setting": setting, "variable": variable, "default": default, "sentence": sentence})
        rows[-1] |= {"value": value, "set_by": source}
        here = f"set by the {source}: {value}" if source else "not set"
        lines += [f"{variable}  (default: {default}; {here})", f"    {sentence}"]
    answer("\n".join(lines), {"settings": rows}, as_json=as_json)
