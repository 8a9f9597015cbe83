"""From a snapshot to a released model: gate, run, tracking, evaluation, release."""
