"""What happened: journal and records on disk, frames, comparison, reports."""
