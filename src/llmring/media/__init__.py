"""Images and documents on this machine: reading them within limits, looking at headers, scaling, pages of a PDF.

Knows nothing of messages, providers or the network. Pillow and pypdfium2 are loaded when first needed.
"""
