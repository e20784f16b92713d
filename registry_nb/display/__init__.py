"""Records as a reader sees them: tables, HTML, text, charts."""
