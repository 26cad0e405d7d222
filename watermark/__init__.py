"""The watermark room: hides a Mark in samples, finds it again, and reads the marks that known generators leave."""
