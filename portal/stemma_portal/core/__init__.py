"""What every app builds on: the transparency log, jobs, the audit trail, storage."""
