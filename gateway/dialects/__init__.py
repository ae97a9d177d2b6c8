"""Provider wire formats: what a body asks for, what it used, how it is rewritten."""
