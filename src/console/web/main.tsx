import { render } from "preact";
import { App } from "./app.tsx";
import { startLive } from "./live/live.ts";
import "uplot/dist/uPlot.min.css";
import "./styles/base/theme.css";
import "./styles/base/elements.css";
import "./styles/base/controls.css";
import "./styles/base/tables.css";
import "./styles/base/large-screens.css";
import "./styles/bar/top-bar.css";
import "./styles/bar/menu.css";
import "./styles/bar/filters.css";
import "./styles/bar/narrow-screens.css";
import "./styles/overview.css";
import "./styles/panels/panel.css";
import "./styles/panels/charts.css";
import "./styles/panels/hops.css";
import "./styles/panels/concurrency.css";
import "./styles/panels/facts.css";
import "./styles/heat.css";
import "./styles/trace.css";
import "./styles/pages.css";

const place = document.querySelector("#console");
if (place) {
  startLive();
  render(<App />, place);
}
