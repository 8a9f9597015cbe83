"""Stable Audio pipelines as they are published: in a folder as diffusers saves one, or on the hub."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from stemma.errors import InvalidError, NotFoundError, UnavailableError

KIND = "StableAudioPipeline"
PARTS = ("vae", "text_encoder", "projection_model", "tokenizer", "transformer", "scheduler")
HUB = re.compile(r"[\w.-]+/[\w.-]+")


def find_pipeline(said: str) -> Path:
    """The folder of a pipeline: that one, or where the hub's client lays what it has fetched.

    The client's own variables hold: `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`.  Raises `NotFoundError`
    for what is neither, `UnavailableError` where the hub does not give it, `InvalidError` for what is no pipeline.
    """
    folder = Path(said)
    if folder.is_dir():
        return _checked(folder)
    if not HUB.fullmatch(said):
        raise NotFoundError(
            f"There is no folder {said}, and it is no name on the hub.",
            remedy="Give the folder of a Stable Audio pipeline, or its name, such as OWNER/MODEL.",
        )
    from diffusers import StableAudioPipeline
    from huggingface_hub.errors import HfHubHTTPError

    try:
        # The parts' weights and settings only, as safetensors.
        fetched = StableAudioPipeline.download(said, use_safetensors=True)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UnavailableError(
            f"The hub does not give {said}: {str(error).strip().splitlines()[0]}",
            remedy="Check the name and HF_TOKEN, or give the folder of a pipeline that was fetched before.",
        ) from error
    return _checked(Path(fetched))


def _checked(folder: Path) -> Path:
    """The folder, unless it is no whole pipeline."""
    try:
        said = json.loads((folder / "model_index.json").read_text())
        kind = said["_class_name"]
    except FileNotFoundError:
        raise InvalidError(
            f"{folder} is no pipeline: it has no model_index.json.",
            remedy=f"Give a folder that `save_pretrained` of a {KIND} wrote.",
            code="no-pipeline",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(f"{folder / 'model_index.json'} describes no pipeline.", code="no-pipeline") from error
    if kind != KIND:
        raise InvalidError(
            f"{folder} is a {kind}; latent models are trained from a {KIND}.",
            remedy=f"Give a {KIND}.",
            code="no-pipeline",
        )
    if gone := [part for part in PARTS if not (folder / part).is_dir()]:
        raise InvalidError(
            f"{folder} lacks {', '.join(gone)} of a {KIND}.", remedy="Fetch it again.", code="no-pipeline"
        )
    return folder


def read_pipeline(folder: Path) -> Any:
    """The pipeline in this folder; nothing is fetched from elsewhere, and weights carry no code.

    Raises `InvalidError` for what is not whole.
    """
    from diffusers import StableAudioPipeline
    from diffusers.utils import logging
    from transformers.utils import logging as others

    # Bars of their own would stand between the lines of ours.
    logging.disable_progress_bar()
    others.disable_progress_bar()
    try:
        pipeline: Any = StableAudioPipeline.from_pretrained(  # type: ignore[no-untyped-call]
            str(folder), local_files_only=True, use_safetensors=True, low_cpu_mem_usage=False
        )
        heard, taken = pipeline.vae.config.decoder_input_channels, pipeline.transformer.config.in_channels
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InvalidError(f"{folder} does not hold a whole latent model: {error}", code="bad-bundle") from error
    if heard != taken:
        raise InvalidError(f"{folder}: its denoiser takes other latents than the {heard} of its autoencoder.")
    return pipeline
