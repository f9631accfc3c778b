"""The control plane: vendor SDKs live here and nowhere else, and are imported when first used."""
