"""Models that make sound: latent diffusion in the layout of diffusers."""
