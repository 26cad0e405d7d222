"""The command-line door: the only room that prints, prompts and reads the environment."""
