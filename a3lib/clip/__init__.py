"""Pictures and captions in one space: models, a gallery, ranking by a caption, zero-shot labels."""
