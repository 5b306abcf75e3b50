"""Words, photographs and pictures, with their licences; emoji and drawn scenes with captions."""
