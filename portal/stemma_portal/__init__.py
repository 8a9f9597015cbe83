"""The portal: where rights-holders, licensees and the house meet."""
