"""What all trackers share: the listener, where runs are written, and how far each has come."""
