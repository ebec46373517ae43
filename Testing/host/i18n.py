"""Stand-in for slicer.i18n: an application that runs in English."""


def translate(context: str, text: str) -> str:
    """The text; Slicer looks the translation up by context and text, so both must be strings."""
    if not isinstance(context, str) or not isinstance(text, str):
        raise TypeError("translate() takes two strings")
    return text


def tr(text: str) -> str:
    """The text, as Slicer returns it where there is no translation."""
    if not isinstance(text, str):
        raise TypeError("tr() takes a string")
    return text
