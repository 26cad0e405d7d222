"""Marks on trial: the same attacks on the same photographs for our schemes and for what others offer."""
