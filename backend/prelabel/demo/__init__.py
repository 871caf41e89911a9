"""The demo: a real Label Studio, three projects, three models, everything started and stopped by one command."""
