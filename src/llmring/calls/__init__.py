"""One call, from a request and its candidates to events: `chain` says in which order things are wrapped, `exchange` sends."""
