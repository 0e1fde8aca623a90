"""Flags for the tests of the reference commands."""


def on_images(flag: str, images: str, *flags: str) -> tuple[str, ...]:
    """The flags, with images chosen by `flag` if they do not choose anything: the default, mazes, needs no files."""
    return flags if flag in flags else (flag, images, *flags)
