"""What templates of audio use."""
