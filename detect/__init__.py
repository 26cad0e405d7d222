"""The detection room: neural witnesses. Empty until the first one earns its place."""
