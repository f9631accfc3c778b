"""What `llmring doctor` looks at, one file per thing looked at. A check finds and tells; none changes anything, none shows a key."""
