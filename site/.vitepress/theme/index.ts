/** The default theme with the system's fonts: a page loads what it shows, and nothing else. */
import theme from "vitepress/theme-without-fonts";
import "uplot/dist/uPlot.min.css";
import "./guide.css";
import "./style.css";

export default theme;
