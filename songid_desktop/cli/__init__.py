"""The command line, the other front end."""
