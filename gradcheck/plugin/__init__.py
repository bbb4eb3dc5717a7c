"""What the pytest plugin is made of; each module is imported when it is first needed."""
