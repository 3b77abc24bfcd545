//! What the embedded store does when the disk is full or the file is locked: wait, and lose nothing.
