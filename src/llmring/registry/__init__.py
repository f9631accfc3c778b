"""What models cost and can do. `pricing`: money from token counts and the facts of a lock, exactly."""
