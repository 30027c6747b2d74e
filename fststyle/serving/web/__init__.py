"""The HTTP server: a thin shell over :class:`~fststyle.serving.stylizer.Stylizer`. Needs the extra ``serve``."""
