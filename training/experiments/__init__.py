"""What a model is worth, and what each part of the recipe is worth."""
