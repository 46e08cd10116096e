"""Concept set ``folders``: folders of images, a folder for each label of whole images."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``folders``."""
    return [
        ConceptSetSpec(
            name="folders",
            summary="a folder of images per scene: ROOT/NAME/*.jpg, or ROOT/train/NAME/*.jpg",
            factory="nd_folders.reader:Folders",
            accepts=(
                # not ROOT: any folder of folders of images would be offered as this format
                "folders:FOLDER",
                "folders:FOLDER?category=texture",
                "folders:FOLDER?names=FILE.csv",
            ),
            example="nd_folders.example:example",
        )
    ]
