"""Four real tasks, to run and to learn from: an export, thumbnails, a report, an import."""
