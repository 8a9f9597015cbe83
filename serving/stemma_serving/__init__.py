"""Inference on Ray Serve: from a licensed request to a marked, certified and accounted output.

Gateway (license, usage fact) → Generator (model, sound, marks) → Attributor (who shaped it), with a
UsageShipper that takes facts from the local spool to object storage.  Serving owns nothing else.
"""
