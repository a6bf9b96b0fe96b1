"""No models of Django's: its ``migrate`` tells only apps with this module when it is done."""
