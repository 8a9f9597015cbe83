"""The two APIs as programs of licensees use them.  Needs neither Ray nor torch.

from stemma.client import Client

stemma = Client("https://music.example", api_key="stm_…")
piece = stemma.generate(prompt="a lively reel in D major for fiddle", bars=16)
stemma.save(piece, "reel.flac")
"""

from stemma.client.serving import Client, File, Generation

__all__ = ["Client", "File", "Generation"]
