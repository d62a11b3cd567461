"""The commands of the command line, a module each; ``smtpwire.analyzer.cli`` puts them together."""
