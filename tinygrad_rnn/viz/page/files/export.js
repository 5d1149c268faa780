function openExport() {}
function showHelp() {}
