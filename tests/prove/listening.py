"""Imported last by the server that rows are forked from, which is started deaf to Ctrl-C: what it forks hears it."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
