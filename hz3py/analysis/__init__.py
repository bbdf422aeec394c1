"""Statistics of finished samples. Pure: nothing here reads files, starts programs or prints."""
