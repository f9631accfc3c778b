"""Where facts of models are read from when the registry is made anew. None of them is asked by a call; each loads what it needs when read."""
