// Filters of the table of concepts.

const filters = document.getElementById("concept-filters");
const rows = [...document.querySelectorAll("#compared-concepts tbody tr")];

function filterRows() {
  const search = filters.elements.search.value.trim().toLowerCase();
  const group = filters.elements.group.value;
  const category = filters.elements.category.value;
  let shown = 0;
  for (const row of rows) {
    const { name, group: rowGroup, category: rowCategory } = row.dataset;
    const matches = name.includes(search) && (!group || rowGroup === group) && (!category || rowCategory === category);
    row.hidden = !matches;
    if (matches) shown += 1;
  }
  document.getElementById("concept-count").textContent = `${shown} of ${rows.length} concepts`;
}

if (filters) {
  filters.hidden = false;
  filters.addEventListener("input", filterRows);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filterRows();
}
