"""`python -m llmring`: the same as the `llmring` command."""

from llmring.cli.main import main

if __name__ == "__main__":
    main()
