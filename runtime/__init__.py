"""What every orderlab process needs: settings, errors with exit codes, logging, and a clean way out."""
