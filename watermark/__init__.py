"""The watermark room: hides a Mark in samples, finds it, and reads the marks that known generators leave."""
