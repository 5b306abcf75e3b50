"""The fast twin of the published translators: asked for by name, never by the core."""
