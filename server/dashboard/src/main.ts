document.title = "Tallow";
