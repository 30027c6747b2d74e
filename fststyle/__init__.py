"""fststyle: fast neural style transfer, from a painting to an ONNX file to pictures."""

__version__ = "0.1.0"
