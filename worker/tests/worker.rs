//! The worker as a process, against a k6 that does as it is told.
